/** Any JSON value, as a tree that opens and closes. It is read when it is first needed. */
import { lazy, Suspense } from "react"

const Tree = lazy(() => import("./JsonTree.tsx"))

export const Json = ({ value, label }: { readonly value: unknown; readonly label: string }) => (
  <section className="json" aria-label={label}>
    <Suspense fallback={<pre>{JSON.stringify(value, null, 2)}</pre>}>
      <Tree value={value} />
    </Suspense>
  </section>
)

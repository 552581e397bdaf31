/** How long ago something was; exactly, when asked. */
import { ago, clock, moment } from "../model/Figures.ts"
import { useNow } from "./Console.ts"

export const When = ({ at }: { readonly at: string }) => {
  const now = useNow()
  return (
    <time dateTime={at} title={`${moment(Date.parse(at))}, here ${clock(Date.parse(at)).slice(0, 8)}`}>
      {ago(now - Date.parse(at))}
    </time>
  )
}

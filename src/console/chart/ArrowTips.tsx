/** The tips of a chart's arrows, of a way that was gone and of one that was not. Ids are the page's: each chart has a name. */
type Tip = "rest" | "passed"

const TIPS: ReadonlyArray<Tip> = ["rest", "passed"]

const idOf = (chart: string, tip: Tip): string => `${chart}-tip-${tip}`

export const tipOf = (chart: string, isPassed: boolean): string =>
  `url(#${idOf(chart, isPassed ? "passed" : "rest")})`

export const ArrowTips = ({ chart }: { readonly chart: string }) => (
  <defs>
    {TIPS.map((tip) => (
      <marker
        key={tip}
        id={idOf(chart, tip)}
        viewBox="0 0 8 8"
        refX="7"
        refY="4"
        markerWidth="7"
        markerHeight="7"
        orient="auto-start-reverse"
      >
        <path className={`chart-tip-${tip}`} d="M0 0.8 7.4 4 0 7.2Z" />
      </marker>
    ))}
  </defs>
)

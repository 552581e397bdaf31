/** The few line drawings that the page uses. They say nothing that words beside them do not. */
const PATHS = {
  send: "M4 12 20 4l-5 16-4-7-7-1Z",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l1.5 2h-15L6 16Zm4 4h4",
  help: "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2V15m0 3v.2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-5v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z",
  auto: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 0v18",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5v15l12-7.5-12-7.5Z",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  overview: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  budgets: "M4 8h16M4 8v8h16V8M4 12h9",
  workflows: "M4 5h6v5H4zM14 14h6v5h-6zM7 10v6.5h7",
  overrides: "M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6l7-3Zm-3.2 8.6 2.4 2.4 4.2-4.4",
  letters: "M3.5 6.5h17v11h-17zM4 7l8 6 8-6",
  refusals: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM5.7 5.7l12.6 12.6",
  more: "M4 7h16M4 12h16M4 17h10",
  back: "M15 5l-7 7 7 7",
  actors: "M12 4v5m-6 6v-3h12v3M9.5 4h5v5h-5zM3.5 15h5v5h-5zM15.5 15h5v5h-5z",
  calls: "M4 7h11m0 0-3-3m3 3-3 3M20 17H9m0 0 3-3m-3 3 3 3",
  signals: "M3 12h4l3-8 4 16 3-8h4",
  plus: "M12 5v14M5 12h14"
} as const

export type IconName = keyof typeof PATHS

export const Icon = ({ name }: { readonly name: IconName }) => (
  <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d={PATHS[name]} />
  </svg>
)

/** The rooms: tabs under the head on a laptop, a bar at the thumb on a phone. */
import { Icon } from "../parts/Icon.tsx"
import { hrefTo, ROOM_TITLES, ROOMS, type Room } from "../parts/Route.ts"

export const Nav = ({ room }: { readonly room: Room }) => (
  <nav className="nav" aria-label="Rooms">
    {ROOMS.map((name, index) => (
      <a
        key={name}
        href={hrefTo(name)}
        className={name === "send" ? "nav-send" : ""}
        aria-current={name === room ? "page" : undefined}
        aria-keyshortcuts={String(index + 1)}
      >
        <Icon name={name} />
        <span>{ROOM_TITLES[name]}</span>
      </a>
    ))}
  </nav>
)

/**
 * The rooms: tabs under the head on a laptop, a bar at the thumb on a phone.
 *
 * Owns: which of them a phone's bar has room for, the others are one touch further away; what a role has no use for is
 * not among them.
 */
import { useState } from "react"
import { openCount } from "../model/Overrides.ts"
import { countsOf } from "../model/Workflows.ts"
import { useMay, useMedia, useModel, useNow } from "../parts/Console.ts"
import { Dialog } from "../parts/Dialog.tsx"
import { Icon } from "../parts/Icon.tsx"
import { hrefTo, keyTo, ROOM_TITLES, ROOMS, type Room } from "../parts/Route.ts"

/** What somebody who was woken up needs first. */
const ON_A_PHONE: ReadonlyArray<Room> = ["overview", "workflows", "overrides", "signals"]
const OTHERS = ROOMS.filter((room) => !ON_A_PHONE.includes(room))
const NO_REFUSALS = ROOMS.filter((room) => room !== "refusals")

/** The rooms that this key has a use for. */
export const useRooms = (): ReadonlyArray<Room> => (useMay("list_refusals") ? ROOMS : NO_REFUSALS)

/** How many wait for a person in a room. */
const useWaiting = (): { readonly [R in Room]?: number } => {
  const workflows = useModel((model) => model.workflows)
  const overrides = useModel((model) => model.overrides)
  const letters = useModel((model) => model.lettersTold)
  return {
    workflows: countsOf(workflows.values()).parked,
    overrides: openCount(overrides.values(), useNow()),
    letters
  }
}

const WAITING_SAYS: { readonly [R in Room]?: string } = {
  workflows: "parked",
  overrides: "to decide",
  letters: "new"
}

interface LinkProps {
  readonly name: Room
  readonly room: Room
  readonly waiting: number
  readonly onClick?: () => void
}

const Link = ({ name, room, waiting, onClick }: LinkProps) => (
  <a
    href={hrefTo(name)}
    className={name === "send" ? "nav-send" : ""}
    aria-current={name === room ? "page" : undefined}
    aria-keyshortcuts={keyTo(name)}
    onClick={onClick}
  >
    <Icon name={name} />
    <span>{ROOM_TITLES[name]}</span>
    {waiting > 0 && (
      <b className="nav-count">
        {waiting > 99 ? "99+" : waiting}
        <span className="unseen"> {WAITING_SAYS[name]}</span>
      </b>
    )}
  </a>
)

const MoreRooms = ({ rooms, room, waiting, onClose }: MoreRoomsProps) => (
  <Dialog kind="overlay" title="Rooms" onClose={onClose}>
    <nav className="nav-more" aria-label="More rooms">
      {rooms.map((name) => (
        <Link key={name} name={name} room={room} waiting={waiting[name] ?? 0} onClick={onClose} />
      ))}
    </nav>
  </Dialog>
)

interface MoreRoomsProps {
  readonly rooms: ReadonlyArray<Room>
  readonly room: Room
  readonly waiting: ReturnType<typeof useWaiting>
  readonly onClose: () => void
}

export const Nav = ({ room }: { readonly room: Room }) => {
  const isPhone = useMedia("(width < 760px)")
  const waiting = useWaiting()
  const rooms = useRooms()
  const [isOpen, setOpen] = useState(false)
  return (
    <>
      <nav className="nav" aria-label="Rooms">
        {(isPhone ? ON_A_PHONE : rooms).map((name) => (
          <Link key={name} name={name} room={room} waiting={waiting[name] ?? 0} />
        ))}
        {isPhone && (
          <button
            type="button"
            className="nav-button"
            aria-haspopup="dialog"
            aria-current={OTHERS.includes(room) ? "page" : undefined}
            onClick={() => setOpen(true)}
          >
            <Icon name="more" />
            <span>{OTHERS.includes(room) ? ROOM_TITLES[room] : "More"}</span>
          </button>
        )}
      </nav>
      {isPhone && isOpen && (
        <MoreRooms
          rooms={rooms.filter((name) => OTHERS.includes(name))}
          room={room}
          waiting={waiting}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  )
}

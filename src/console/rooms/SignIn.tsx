/** For people without a session: the one-time link, or a key. */
import { type FormEvent, useState } from "react"
import { useConsole } from "../parts/Console.ts"
import { signIn } from "../wire/Browser.ts"

export const SignIn = ({ reason }: { readonly reason: string }) => {
  const { connection } = useConsole()
  const [problem, setProblem] = useState<string | null>(null)
  const [isAsking, setAsking] = useState(false)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const key = String(new FormData(event.currentTarget).get("key") ?? "").trim()
    if (key === "") return setProblem("Paste a key first.")
    setAsking(true)
    signIn(key)
      .then((why) => {
        setProblem(why)
        if (why === null) connection.connect()
      })
      .catch(() => setProblem("The server cannot be reached."))
      .finally(() => setAsking(false))
  }
  return (
    <main className="sign-in" id="main">
      <div className="sign-in-card">
        <img src="/mark.svg" alt="" width="44" height="44" />
        <h1>Bursar</h1>
        <p className="sign-in-why">{reason}</p>
        <form onSubmit={submit}>
          <label className="field">
            <span>Key</span>
            <input
              name="key"
              type="password"
              autoComplete="current-password"
              spellCheck={false}
              aria-describedby="sign-in-problem"
              aria-invalid={problem !== null}
            />
          </label>
          <p id="sign-in-problem" className="field-problem" role="alert">
            {problem}
          </p>
          <button type="submit" className="button strong" disabled={isAsking}>
            {isAsking ? "Signing in…" : "Sign in"}
          </button>
        </form>
        <p className="sign-in-hint">
          Or open the one-time link that <code>npm start</code> prints. The key stays out of this page: it is
          exchanged for a session of 12 hours.
        </p>
      </div>
    </main>
  )
}

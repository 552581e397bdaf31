/**
 * Every signal as a method of its own name, with its description, who may send it, and what it fails with. Beside its own,
 * every signal can fail with `InvalidParams`, `Unauthenticated`, `Forbidden`, `Overloaded`, `Unavailable`, `InternalError`.
 *
 * Written by `npm run generate` from src/signal: change it there.
 */
import type { Method } from "./HostSignals.ts"

/** Every signal as a method of its own name. */
export interface SignalMethods {
  /**
   * Records what one attempt of a call used. The answer means: it is durable.
   *
   * Roles: `app`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`, `PriceUnknown`.
   */
  readonly track_usage: Method<"track_usage">

  /**
   * Brings an attempt to the counts that are right, by a row with the difference that is booked where the first row
   * was. The same correction again changes nothing.
   *
   * Roles: `budget_admin`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`, `PriceUnknown`.
   */
  readonly correct_usage: Method<"correct_usage">

  /**
   * Lists recorded usage, newest first, with totals over the whole filter on the first page.
   *
   * Roles: `app`, `analyst`, `admin`.
   */
  readonly get_usage: Method<"get_usage">

  /**
   * Asks for approval before a call, and holds the money it may cost in every budget that applies.
   *
   * Roles: `app`, `admin`.
   *
   * Fails with `Conflict`, `RateUnknown`.
   */
  readonly check_budget: Method<"check_budget">

  /**
   * Asks for more room, or more time, for an open hold.
   *
   * Roles: `app`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly extend_hold: Method<"extend_hold">

  /**
   * Gives back what was held for a call that will not be made.
   *
   * Roles: `app`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly release_hold: Method<"release_hold">

  /**
   * Sets a limit on what something may spend in a period.
   *
   * Roles: `budget_admin`, `admin`.
   *
   * Fails with `Conflict`, `RateUnknown`.
   */
  readonly create_budget: Method<"create_budget">

  /**
   * Changes a budget. Lowering a limit revokes no hold; an inactive budget goes on counting.
   *
   * Roles: `budget_admin`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly update_budget: Method<"update_budget">

  /**
   * Says where budgets stand: spent, held, remaining, and when they run out at this rate.
   *
   * Roles: `app`, `analyst`, `budget_admin`, `admin`.
   *
   * Fails with `NotFound`.
   */
  readonly get_budget_status: Method<"get_budget_status">

  /**
   * Says why calls were refused, the newest first: every check_budget and extend_hold that a budget or a rule
   * refused, also those of complete and of workflows. The newest ten thousand are kept.
   *
   * Roles: `app`, `analyst`, `admin`.
   */
  readonly list_refusals: Method<"list_refusals">

  /**
   * Asks for more room in a budget until its current period ends, or until an earlier time.
   *
   * Roles: `app`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly request_override: Method<"request_override">

  /**
   * Approves or denies an override. The key that decides has another owner than the key that asked.
   *
   * Roles: `budget_admin`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly decide_override: Method<"decide_override">

  /**
   * Lists overrides, newest first.
   *
   * Roles: `analyst`, `budget_admin`, `admin`.
   */
  readonly list_overrides: Method<"list_overrides">

  /**
   * Says what these counts cost, line by line. Nothing is recorded.
   *
   * Roles: `app`, `analyst`, `budget_admin`, `admin`.
   *
   * Fails with `PriceUnknown`, `RateUnknown`.
   */
  readonly calculate_cost: Method<"calculate_cost">

  /**
   * Lists the prices in force, of the catalogue and of this tenant.
   *
   * Roles: `app`, `analyst`, `budget_admin`, `admin`.
   */
  readonly get_pricing: Method<"get_pricing">

  /**
   * Sets this tenant's price of a model. Usage that was priced before keeps its price.
   *
   * Roles: `budget_admin`, `admin`.
   *
   * Fails with `Conflict`, `RateUnknown`.
   */
  readonly update_pricing: Method<"update_pricing">

  /**
   * Says what a unit of one currency is worth in others, from a moment on. Rates are kept for ever, and what was
   * converted before stays.
   *
   * Roles: `budget_admin`, `admin`.
   *
   * Fails with `Conflict`.
   */
  readonly update_exchange_rates: Method<"update_exchange_rates">

  /**
   * Changes how this tenant is run; only what is named changes.
   *
   * Roles: `admin`.
   *
   * Fails with `Conflict`, `RateUnknown`.
   */
  readonly configure_manager: Method<"configure_manager">

  /**
   * Says whether this tenant's TokenManager is healthy, and what it has counted so far.
   *
   * Roles: `analyst`, `operator`, `admin`.
   */
  readonly get_status: Method<"get_status">

  /**
   * Lists who changed the rules and when, with before and after, newest first.
   *
   * Roles: `analyst`, `admin`.
   */
  readonly get_audit_trail: Method<"get_audit_trail">

  /**
   * Deletes usage rows older than so many days, and keeps their sums; removes workflows and other durable machines
   * that ended before, and refusals. Budgets, totals, the audit trail and the uniqueness of request ids stay as they
   * are.
   *
   * Roles: `admin`.
   *
   * Fails with `Conflict`.
   */
  readonly cleanup_old_data: Method<"cleanup_old_data">

  /**
   * Forgets a user: the pseudonym belongs to nobody, and what still names the user by an own id is renamed. Totals,
   * counters and the audit chain stay as they are.
   *
   * Roles: `admin`.
   *
   * Fails with `Conflict`.
   */
  readonly forget_user: Method<"forget_user">

  /**
   * Makes a call to a model: asks for budget, calls, reports. A refused call never reaches the provider.
   *
   * Roles: `app`, `admin`.
   *
   * Fails with `Conflict`, `BudgetExceeded`, `ProviderFailed`, `RateUnknown`.
   */
  readonly complete: Method<"complete">

  /**
   * Starts a workflow of agents: a declared one by its name, or one that is given here. Its calls are budgeted, held
   * and recorded like any other, attributed to it.
   *
   * Roles: `app`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`, `BudgetExceeded`, `RateUnknown`.
   */
  readonly start_workflow: Method<"start_workflow">

  /**
   * Shows one workflow: its steps, their outputs, what they cost, and what it waits for.
   *
   * Roles: `app`, `analyst`, `operator`, `admin`.
   *
   * Fails with `NotFound`.
   */
  readonly get_workflow: Method<"get_workflow">

  /**
   * Lists workflows, the newest first.
   *
   * Roles: `app`, `analyst`, `operator`, `admin`.
   */
  readonly list_workflows: Method<"list_workflows">

  /**
   * Ends a workflow: calls on their way are cancelled and settled, what is held is given back, nothing more starts.
   *
   * Roles: `app`, `operator`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly cancel_workflow: Method<"cancel_workflow">

  /**
   * Lets a parked workflow try again now. One that is not parked goes on as it does.
   *
   * Roles: `app`, `operator`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly resume_workflow: Method<"resume_workflow">

  /**
   * Lists the actors that live here: kind, state, mailbox.
   *
   * Roles: `operator`, `admin`.
   */
  readonly list_actors: Method<"list_actors">

  /**
   * Looks into one actor: its state, its statechart, its redacted context, its mailbox, and what was decided when it
   * failed.
   *
   * Roles: `operator`, `admin`.
   *
   * Fails with `NotFound`.
   */
  readonly inspect_actor: Method<"inspect_actor">

  /**
   * Ends an actor, its children first. What it has answered is kept; one that is made on demand comes back when it
   * is asked.
   *
   * Roles: `operator`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly stop_actor: Method<"stop_actor">

  /**
   * Ends the life of an actor and begins another, with the state that it finds in the store.
   *
   * Roles: `operator`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly restart_actor: Method<"restart_actor">

  /**
   * Lists signals that nobody could take, and alerts that never reached a channel (address alerts), the newest
   * first. The newest thousand are kept.
   *
   * Roles: `operator`, `admin`.
   */
  readonly list_dead_letters: Method<"list_dead_letters">

  /**
   * Sends a dead letter again, as the key that sent it first. It is gone when it is answered, and stays when it
   * fails again. An alert is owed to its channel again, with fresh tries.
   *
   * Roles: `operator`, `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly redrive_dead_letter: Method<"redrive_dead_letter">

  /**
   * Makes a key. It is shown once; only its keyed hash is stored. A tenant begins with its first key.
   *
   * Roles: `admin`.
   *
   * Fails with `Conflict`.
   */
  readonly create_key: Method<"create_key">

  /**
   * Lists this tenant's keys, never their secrets.
   *
   * Roles: `admin`.
   */
  readonly list_keys: Method<"list_keys">

  /**
   * Ends a key. Its open connections and sessions close at once.
   *
   * Roles: `admin`.
   *
   * Fails with `Conflict`, `NotFound`.
   */
  readonly revoke_key: Method<"revoke_key">
}

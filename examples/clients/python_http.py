"""Budget, check, report, read back: Bursar over HTTP, with nothing but Python. BURSAR_URL and BURSAR_KEY say where."""
import json, os, urllib.request, uuid

URL, KEY = os.environ["BURSAR_URL"], os.environ["BURSAR_KEY"]


def call(method, **params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/signals", body, headers)) as response:
        answer = json.load(response)
    if "error" in answer:
        raise SystemExit(f"{method}: {answer['error']['message']}")
    return answer["result"]


run = uuid.uuid4().hex[:8]
what = {"provider": "python", "model": f"model-{run}", "user_id": f"ada-{run}"}
prices = {"prompt_per_million": "1.00", "completion_per_million": "2.00"}
call("update_pricing", provider=what["provider"], model=what["model"], pricing=prices)
budget = call("create_budget", name="Ada", type="user", entity_id=what["user_id"], period="daily", limit="0.01")
check = call("check_budget", request_id=run, estimated_prompt_tokens=1000, max_completion_tokens=1000, **what)
held = next(b["held"] for b in check["budgets"] if b["budget_id"] == budget["budget_id"])
print("allowed:", check["allowed"], "held:", held)
call("track_usage", request_id=run, hold_id=check["hold_id"], prompt_tokens=1000, completion_tokens=500, **what)
print("cost:", call("get_usage", user_id=what["user_id"])["totals"]["cost"])
print("remaining:", call("get_budget_status", budget_id=budget["budget_id"])["budgets"][0]["remaining"])

"""The artifacts of a rich run: one of each kind that MLflow's page shows, and one that is hostile. Plain data."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f000501"
    "01ff5db2c5de0000000049454e44ae426082"
)
# Tries to act as whoever looks at it, and writes down what came of it.
HOSTILE = b"""<p id="told"></p><script>
const server = location.ancestorOrigins[0] ?? location.origin, told = {};
const note = (what, how) => how().then(() => "done", () => "refused").then((outcome) => { told[what] = outcome; });
const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
Promise.all([
  note("read", () => fetch(server + "/ajax-api/2.0/mlflow/experiments/search?max_results=1").then((r) => r.json())),
  note("read with credentials", () => fetch(server + "/version", { credentials: "include" }).then((r) => r.text())),
  note("post", () => fetch(server + "/ajax-api/2.0/mlflow/runs/search", post).then((r) => r.json())),
  note("page", async () => parent.document.body.innerHTML),
  note("state", async () => localStorage.length),
  note("cookies", async () => document.cookie),
]).then(() => { document.getElementById("told").textContent = JSON.stringify(told); });
</script>"""
FILES = {
    "hostile.html": HOSTILE,
    "plots/loss.png": PNG,
    "plots/deep/er/curve.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
    "report.html": b"<h1>A page of the job's own</h1>",
    "summary.json": b'{"depth": 3, "words": "gr\xc3\xbc\xc3\x9fe"}',
    "log with space.txt": "line one of the job's log\nzwei ☀\n".encode(),
    "table.csv": b"x,y\n1,2\n",
    "raw.bin": bytes(range(256)),
    "empty.txt": b"",
}

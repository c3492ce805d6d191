"""The page that stands in for MLflow while there is nothing to show: it says what is happening, and goes by itself.

Self-contained, light and dark. It asks for the stage every few seconds while somebody looks at it, stops while its tab
is hidden, and gives up after a quarter of an hour: a forgotten tab must not keep a pod awake.
"""

from html import escape

PREPARING_PATH = "/bigpanda/preparing"
STATUS_PATH = "/bigpanda/status"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Task {task}: preparing</title>
<style>
:root {{ color-scheme: light dark; --text: #1f272d; --quiet: #5f7281; --back: #f6f7f9; --card: #fff; --line: #d8dee4;
  --accent: #2272b4; }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #e8ecf0; --quiet: #9aa8b4; --back: #11171c; --card: #1b232a;
  --line: #37444f; --accent: #4299e0; }} }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }}
main {{ box-sizing: border-box; width: min(34rem, calc(100vw - 2rem)); padding: 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 12px; }}
h1 {{ margin: 0 0 .25rem; font-size: 1.35rem; font-weight: 600; }}
p {{ margin: .5rem 0 0; }}
#reason, .quiet {{ color: var(--quiet); }}
.bar {{ height: 4px; margin: 1.25rem 0 .75rem; border-radius: 2px; background: var(--line); overflow: hidden; }}
.bar i {{ display: block; width: 30%; height: 100%; border-radius: 2px; background: var(--accent);
  animation: run 1.8s ease-in-out infinite; }}
@keyframes run {{ from {{ margin-left: -30% }} to {{ margin-left: 100% }} }}
@media (prefers-reduced-motion: reduce) {{ .bar i {{ animation: none; width: 100%; opacity: .4 }} }}
.still .bar {{ visibility: hidden }}
button {{ margin-top: 1rem; padding: .45rem 1rem; font: inherit; color: #fff; background: var(--accent); border: 0;
  border-radius: 6px; cursor: pointer; }}
</style>
</head>
<body>
<main id="main">
<h1>Task {task}</h1>
<p id="words" role="status">{words}</p>
<div class="bar"><i></i></div>
<p id="reason">{reason}</p>
<noscript><p class="quiet">Reload this page in a moment.</p></noscript>
<button id="again" hidden>Look again</button>
</main>
<script>
(function () {{
  var EVERY = 3000, PATIENCE = 15 * 60 * 1000;
  var asked = 0, timer = null;
  var main = document.getElementById("main"), again = document.getElementById("again");
  function show(status) {{
    document.getElementById("words").textContent = status.words;
    document.getElementById("reason").textContent = status.reason || "";
    main.className = status.stage === "failed" ? "still" : "";
  }}
  function look() {{
    timer = null;
    if (document.hidden) return;
    if (asked * EVERY >= PATIENCE) {{ main.className = "still"; again.hidden = false; return; }}
    asked += 1;
    fetch("{status_path}", {{ cache: "no-store" }}).then(function (answer) {{ return answer.json(); }})
      .then(function (status) {{
        if (status.stage === "loading" || status.stage === "ready") location.replace("/" + location.hash);
        else show(status);
      }})
      .catch(function () {{ show({{ words: "The server does not answer; trying again." }}); }})
      .then(function () {{ if (timer === null) timer = setTimeout(look, EVERY); }});
  }}
  document.addEventListener("visibilitychange", function () {{ if (!document.hidden && timer === null) look(); }});
  again.addEventListener("click", function () {{ asked = 0; again.hidden = true; main.className = ""; look(); }});
  timer = setTimeout(look, EVERY);
}})();
</script>
</body>
</html>
"""

_WORDS = {
    "starting": "MLflow is starting.",
    "waiting_for_snapshot": "The results of this task are being prepared. This page turns into MLflow by itself.",
    "loading": "The results are being loaded.",
    "ready": "The results are ready.",
    "failed": "The results of this task cannot be shown at the moment.",
}


def words_for(stage: str) -> str:
    """What a stage means to the person who waits."""
    return _WORDS[stage]


def make_preparing_page(jeditaskid: int, stage: str, reason: str) -> str:
    """The whole page as HTML."""
    return _PAGE.format(task=jeditaskid, words=escape(words_for(stage)), reason=escape(reason), status_path=STATUS_PATH)

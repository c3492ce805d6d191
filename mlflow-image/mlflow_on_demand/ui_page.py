"""MLflow's page, with one script of ours in front of MLflow's own; its files stay as they are.

While traffic is split, the page may come from one image and the script from another, of another build or with another
MLflow. So the script's address never changes, it needs nothing of the page but MLflow's `root`, and all else that it
uses comes with it or is asked of `/bigpanda/status`, whose fields may only grow: each works on the page of the other.
"""

from collections.abc import Iterator
from functools import cache

from mlflow_on_demand.errors import OnDemandError
from mlflow_on_demand.mlflow_facts import ui_dir

PAGE = "index.html"
# Ours is the only page that waits for this address; it must not collide with MLflow's own.
SCRIPT_PATH = "/bigpanda/first-look.js"

# What the page loads, in three rounds, before it names a run; not the charts, which would compete with these. Told at
# once, the browser fetches them while it still reads the main script. By the numbers of MLflow 3.17's build.
EARLY_SCRIPTS = (
    *("9861", "6507", "353", "3448", "2809", "5439"),
    *("3198", "4863", "8503", "7340", "9848", "855", "8209", "9360", "7182", "2369", "3121", "9867", "4751", "3793"),
    *("9662", "5702", "6475", "3878", "5343"),
    *("2685", "1372"),
)
EARLY_STYLES = ("5439", "5343", "2685")


@cache
def make_page() -> bytes:
    """MLflow's `index.html` with our script before the first of its own, and what its first view needs made known."""
    html = (ui_dir() / PAGE).read_text(encoding="utf-8")
    before, tag, after = html.partition("<script")
    if not tag:
        raise OnDemandError("MLflow's index.html has no script to put ours in front of")
    head, end, body = after.partition("</head>")
    return f'{before}<script src="{SCRIPT_PATH}"></script>{tag}{head}{"".join(_hints())}{end}{body}'.encode()


def _hints() -> Iterator[str]:
    for kind, folder, names in (("script", "js", EARLY_SCRIPTS), ("style", "css", EARLY_STYLES)):
        for name in names:
            for path in sorted(ui_dir().glob(f"static/{folder}/{name}.*.chunk.{folder}")):
                where = path.relative_to(ui_dir()).as_posix()
                yield f'<link rel="preload" as="{kind}" fetchpriority="low" href="static-files/{where}"/>'

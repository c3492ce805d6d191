"""What a physicist's script does with artifacts; runs where MLflow is complete, so it may import nothing of ours.

xrootd_mlflow.py <folder> [<artifact location>]    logs, loads and lists by the tracking server or database of
                                                   MLFLOW_TRACKING_URI, and prints what it saw
"""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow


class _Doubles(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def predict(self, model_input: list[str]) -> list[str]:
        return [one * 2 for one in model_input]


def main(folder: Path, location: str | None) -> dict[str, Any]:
    """Everything that MLflow's fluent interface does with artifacts."""
    experiment = mlflow.create_experiment("on EOS", location)
    many = folder / "many"
    for number in range(20):
        path = many / str(number % 3) / f"größe {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_artifact(str(many / "0" / "größe 0.txt"), "one")
        mlflow.log_artifacts(str(many), "many")
        mlflow.log_text("text", "deep/er/text.txt")
        mlflow.log_dict({"loss": 0.25}, "loss.json")
        model = mlflow.pyfunc.log_model(name="net", python_model=_Doubles(), input_example=["a"], pip_requirements=[])
    run_id, uri = run.info.run_id, run.info.artifact_uri
    client = mlflow.MlflowClient()
    local = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="many", dst_path=str(folder)))
    return {
        "run": run_id,
        "uri": uri,
        "many": {path.relative_to(local).as_posix(): path.read_text() for path in local.rglob("*.txt")},
        "text": mlflow.artifacts.load_text(f"runs:/{run_id}/deep/er/text.txt"),
        "dict": mlflow.artifacts.load_dict(f"{uri}/loss.json"),
        "whole": Path(mlflow.artifacts.download_artifacts(f"{uri}/one")).name,
        "listed": [[info.path, info.is_dir, info.file_size] for info in client.list_artifacts(run_id)],
        "found": [info.path for info in mlflow.artifacts.list_artifacts(artifact_uri=f"{uri}/deep")],
        "model": mlflow.pyfunc.load_model(model.model_uri).predict(["a", "b"]),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)))

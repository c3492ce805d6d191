# Every target does its own set-up; nothing needs to be installed by hand but Python (3.11 or later) and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-annotate --no-header --quiet

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: run make PYTHON=/path/to/a/newer/python"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }

$(READY): pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing the locked environment into $(VENV) ..."
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m mlflow_on_demand.prepare_environment
	@touch $@

.PHONY: setup
setup: $(READY)  ## Install the locked environment into .venv (every other target does this by itself)

.PHONY: lock
lock: | $(BIN)/python  ## Resolve pyproject.toml anew into requirements.lock, and each image's part of it (hashes, no index addresses)
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(COMPILE) --all-extras --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --extra build --output-file mlflow-image/locks/build.lock
	$(COMPILE) --constraint requirements.lock --extra functions --output-file mlflow-image/locks/functions.lock
	$(COMPILE) --constraint requirements.lock --extra server --no-emit-package gunicorn --no-emit-package xrootd --output-file mlflow-image/locks/server.lock
	$(COMPILE) --constraint requirements.lock --extra server --extra functions --output-file mlflow-image/locks/ingest.lock \
	  $$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' mlflow-image/locks/server.lock)

.PHONY: image
image:  ## Build both images as OCI archives under build/images, with buildah, podman or docker (BASE=reference: on that image)
	@mlflow-image/make-images

.PHONY: push
push:  ## Push what `make image` built to REGISTRY=host/path, and print the digests for an overlay
	@test -n "$(REGISTRY)" || { echo "Say where to: make push REGISTRY=registry.example.org/bigpanda-mlflow"; exit 1; }
	@tests/install-debian-packages skopeo
	@mlflow-image/push-images "$(REGISTRY)"

.PHONY: run
run: $(READY)  ## Start everything on this machine, with a sample task, until Ctrl-C (ARGS="--help" lists options)
	@exec $(BIN)/python -m bigpanda_laptop $(ARGS)

.PHONY: deploy
# Server-side: of what Knative's own release or an operator wrote (labels, other settings), nothing is touched.
deploy:  ## Apply knative/overlays/$(OVERLAY) to the current kubeconfig's cluster: OVERLAY=laptop, production, okd/operator, okd
	@test -n "$(OVERLAY)" && test -f "knative/overlays/$(OVERLAY)/kustomization.yaml" || { echo "There is no overlay '$(OVERLAY)': say OVERLAY=laptop, production, okd/operator or okd"; exit 1; }
	@command -v kubectl >/dev/null || { echo "kubectl is missing: https://kubernetes.io/docs/tasks/tools/"; exit 1; }
	kubectl apply --server-side --field-manager=bigpanda-mlflow -k "knative/overlays/$(OVERLAY)"

.PHONY: promote
promote: $(READY)  ## Wait no longer: the soak times of the rollout under way are over (ARGS="--watch" shows the rest of it)
	@$(BIN)/bigpanda-mlflow rollout promote $(ARGS)

.PHONY: rollback
rollback: $(READY)  ## Send every page back to the Revision before the newest rollout (ARGS="--watch" shows how it goes)
	@$(BIN)/bigpanda-mlflow rollout rollback $(ARGS)

.PHONY: test
test: $(READY)  ## Run all tests but those that need a cluster, against real servers and a real browser (ARGS="-k name" chooses)
	@tests/install-debian-packages
	@$(BIN)/python -m pytest --ignore tests/cluster $(ARGS)

.PHONY: test-image
test-image: $(READY)  ## Build the images with buildah and run the MLflow image's own tests inside it: its Python, its packages (ARGS="-k name" chooses)
	@tests/install-debian-packages buildah
	@mlflow-image/make-images
	@tests/in-image $(ARGS)

.PHONY: e2e
e2e: $(READY) image  ## Run the tests on the cluster of the current kubeconfig (see tests/support/real_cluster.py; ARGS="-k name" chooses)
	@tests/install-debian-packages chromium kubectl skopeo
	@mlflow-image/make-images tests/cluster/images/Containerfile .venv/bin s3
	@mlflow-image/make-images tests/cluster/images/other.Containerfile . other
	@PYTHONPATH=tests $(BIN)/python -m support.e2e $(ARGS)

.PHONY: check
check: $(READY)  ## Lint, types, layers, and that every overlay renders
	@tests/install-debian-packages kubectl
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/lint-imports --no-logo
	@command -v kubectl >/dev/null || { echo "kubectl is missing, so no overlay was rendered"; exit 0; }; \
	for overlay in laptop production okd okd/operator; do kubectl kustomize knative/overlays/$$overlay >/dev/null || exit 1; done

.PHONY: bench
bench: $(READY)  ## Measure: each figure beside its alternative in the same run
	@tests/install-debian-packages
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

.PHONY: bench-image
bench-image: $(READY)  ## Measure the MLflow image's server beside stock MLflow on the same Python (needs root)
	@tests/install-debian-packages buildah chromium
	@mlflow-image/make-images
	@PYTHONPATH=tests $(BIN)/python -m bench.image $(ARGS)

.PHONY: bench-cluster
bench-cluster: $(READY) image  ## Measure on the cluster of the current kubeconfig, beside stock MLflow (HELLO_IMAGE: its hello-world)
	@tests/install-debian-packages kubectl skopeo
	@mlflow-image/make-images tests/cluster/images/Containerfile .venv/bin s3
	@PYTHONPATH=tests $(BIN)/python -m bench.cluster $(ARGS)

.PHONY: bench-rollout
bench-rollout: $(READY)  ## Measure a rollout over a large fleet only, which `make bench` does at its end (ARGS="--services 100 1000")
	@PYTHONPATH=tests $(BIN)/python -m bench.rollout $(ARGS)

.PHONY: docs
docs: $(READY)  ## Write the tables of README that are made from code
	@PYTHONPATH=tests $(BIN)/python -m support.documentation

.PHONY: fmt
fmt: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: clean
clean:  ## Remove the environment, the state of `make run` and all caches
	rm -rf $(VENV) .state .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

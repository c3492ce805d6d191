"""One-machine Knative: the API, Serving and Eventing that this product needs, for laptops and tests."""

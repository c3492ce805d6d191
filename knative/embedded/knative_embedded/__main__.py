"""`python -m knative_embedded`."""

import sys

from knative_embedded.cli import main

sys.exit(main())

"""`python -m fit` is `fit`."""

import sys

from fit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

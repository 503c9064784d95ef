"""`python -m zerolane`."""

from zerolane.cli import main

if __name__ == "__main__":
    main()

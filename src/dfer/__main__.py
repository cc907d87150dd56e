"""`python -m dfer` is the command line."""

from dfer.cli import main

if __name__ == "__main__":
    main()

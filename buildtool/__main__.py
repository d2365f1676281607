"""`python -m buildtool` is `bt`."""

from buildtool.cli.main import main

if __name__ == "__main__":
    main()

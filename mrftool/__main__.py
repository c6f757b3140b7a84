"""The command `mrftool`, also as `python -m mrftool`."""

import sys


def main() -> None:
    """Load the command line and run it; Ctrl-C may come before all is loaded."""
    try:
        from mrftool.cli.app import main as run
    except KeyboardInterrupt:
        print("mrftool: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

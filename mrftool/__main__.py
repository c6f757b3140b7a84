"""`python -m mrftool` is the command `mrftool`."""

from mrftool.cli.app import main

main()

"""Runs the command ``topup`` as ``python -m infra.cli``."""

from infra.cli.app import app


def main() -> None:
    """Run one command, and exit with its exit code."""
    app(prog_name="topup")


if __name__ == "__main__":
    main()

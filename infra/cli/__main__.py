"""``python -m infra.cli``: the same as ``topup``."""

from infra.cli.app import app


def main() -> None:
    """Run one command; it exits with the command's code."""
    app(prog_name="topup")


if __name__ == "__main__":
    main()

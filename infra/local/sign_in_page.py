"""The page on which a demo user signs in, and the cookie that remembers them."""

import base64
import html
from typing import Final

from starlette.requests import Request

DEMO_USERS: Final = ("alice", "bob", "小明")
COOKIE: Final = "topup_demo_user"


def session_of(user: str) -> str:
    """Return the value of the sign-in cookie for a user: their name, encoded as base64.

    It is not signed, because every user of a local stack may act as any other.
    """
    return base64.urlsafe_b64encode(user.encode()).decode()


def user_of(request: Request) -> str:
    """Return the user who has signed in before, or an empty text."""
    try:
        return base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")).decode()
    except ValueError:
        return ""


def page() -> str:
    """Return the page with a button for each demo user."""
    buttons = "".join(_button(html.escape(user)) for user in DEMO_USERS)
    style = "body{font:18px/1.6 system-ui;max-width:24rem;margin:15vh auto;padding:0 1rem}"
    style += "button{font:inherit;width:100%;padding:.7rem;margin:.3rem 0}"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Sign in</title><style>{style}</style><main><h1>Who are you?</h1>"
        f"<p>Demo users of this local stack.</p>{buttons}</main></html>"
    )


def _button(user: str) -> str:
    button = f'<button name="user" value="{user}">Sign in as {user}</button>'
    return f'<form method="post">{button}</form>'

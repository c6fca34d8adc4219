"""Serves the hosted checkout page and the receipt, with test cards as buttons."""

import html
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.stripe_simulator.api import currencies
from infra.stripe_simulator.errors import ConflictError
from infra.stripe_simulator.objects import cards, purchases
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

WAYS: Final = {
    "card": "Pay with test card 4242 4242 4242 4242",
    "declined": "Try test card 4000 0000 0000 0002 (declined)",
    "delayed": "Pay by bank debit (arrives later)",
}
UNKNOWN: Final = "This is none of Stripe's test cards."
GONE, DECLINED, CLOSED, SEE_OTHER = 404, 402, 409, 303
STYLE: Final = """
body { font: 17px/1.5 system-ui, sans-serif; background: #f6f7f9; color: #1a1f36; margin: 0;
  padding: 0 1rem }
main { max-width: 26rem; margin: 8vh auto; background: #fff; padding: 2rem; border-radius: 12px;
  box-shadow: 0 2px 16px #0001 }
h1 { font-size: 1.1rem; margin: 0; display: inline }
.badge { float: right; background: #ffe8b3; color: #5c3a00; border-radius: 6px; padding: 0 .5rem;
  font-size: .8rem; font-weight: 600 }
.price { font-size: 2.2rem; font-weight: 600; margin: .3rem 0 1rem }
ul { list-style: none; padding: 0; margin: .2rem 0; color: #4f566b }
button { font: inherit; width: 100%; padding: .75rem; margin: .3rem 0; border-radius: 8px;
  border: 1px solid #8792a2; background: #fff; color: inherit; cursor: pointer; text-align: left }
button.first { background: #4338ca; border-color: #4338ca; color: #fff }
:focus-visible { outline: 3px solid #f59e0b; outline-offset: 2px }
[role=alert] { background: #fdecea; color: #7a1212; padding: .7rem; border-radius: 8px }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .7rem; margin: .3rem 0;
  border-radius: 8px; border: 1px solid #8792a2 }
small { color: #4f566b } a { color: #4338ca }
"""


def routes(world: World) -> list[Route]:
    """Return the routes of the page on which buyers pay a session, and of the receipt page."""
    pages = _Pages(world)
    return [
        Route("/c/pay/{id}", pages.show, methods=["GET"]),
        Route("/c/pay/{id}", pages.pay, methods=["POST"]),
        Route("/receipts/{id}", pages.receipt),
    ]


class _Pages:
    def __init__(self, world: World) -> None:
        self._world = world

    async def show(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return _not_found("There is no such checkout.")
        return HTMLResponse(self._checkout(session))

    async def pay(self, request: Request) -> Response:
        form, session = await request.form(), self._session(request)
        method, card = str(form.get("method", "")), str(form.get("card", ""))
        if session is None or method not in (*WAYS, "cancel"):
            return _not_found("There is no such checkout, or no such way to pay.")
        if method == "cancel":
            return RedirectResponse(session["cancel_url"] or session["success_url"], SEE_OTHER)
        if card and cards.find(card) is None:
            return HTMLResponse(self._checkout(session, UNKNOWN), DECLINED)
        try:
            with self._world.store.transaction():
                session = purchases.pay(self._world, session["id"], method, card)
        except ConflictError:
            return HTMLResponse(self._checkout(session), CLOSED)
        if session["status"] == "open":
            alert = "Your card was declined. Try another way to pay."
            return HTMLResponse(self._checkout(session, alert), DECLINED)
        return RedirectResponse(_return_url(session), SEE_OTHER)

    async def receipt(self, request: Request) -> Response:
        charge = self._world.store.get("charge", request.path_params["id"])
        if charge is None:
            return _not_found("There is no such receipt.")
        body = f"<h1>Receipt</h1><p class=price>{_money(charge['amount'], charge['currency'])}</p>"
        if charge["amount_refunded"]:
            body += f"<p>Refunded: {_money(charge['amount_refunded'], charge['currency'])}</p>"
        return HTMLResponse(_page("Receipt", body))

    def _session(self, request: Request) -> Thing | None:
        """Return the session that the path names, or None for an unknown one.

        Sessions whose time is over are expired first.
        """
        purchases.expire_overdue(self._world)
        return self._world.store.get("checkout.session", request.path_params["id"])

    def _checkout(self, session: Thing, alert: str = "") -> str:
        items = purchases.line_items(self._world, session["id"])
        body = _heading(session, items)
        if session["status"] == "open":
            return _page("Checkout", body + _rows(items) + _alert(alert) + _form())
        state = "has been paid for" if session["status"] == "complete" else "has expired"
        url = html.escape(_return_url(session))
        body += f'<p>This checkout {state}.</p><p><a href="{url}">Go back to the shop</a></p>'
        return _page("Checkout", body)


def _heading(session: Thing, items: list[Thing]) -> str:
    names = ", ".join(html.escape(item["description"]) for item in items)
    price = _money(session["amount_total"], session["currency"])
    return f"<span class=badge>Test</span><h1>{names}</h1><p class=price>{price}</p>"


def _rows(items: list[Thing]) -> str:
    """Return the items as an HTML list, or "" for one item of quantity 1.

    The price of such an item is in the heading.
    """
    rows = [_row(item) for item in items if item["quantity"] > 1 or len(items) > 1]
    return f"<ul>{''.join(rows)}</ul>" if rows else ""


def _row(item: Thing) -> str:
    name = html.escape(item["description"])
    price = _money(item["amount_total"], item["currency"])
    return f"<li>{item['quantity']} &times; {name}: {price}</li>"


def _alert(text: str) -> str:
    return f'<p role="alert">{html.escape(text)}</p>' if text else ""


def _form() -> str:
    ways = {**WAYS, "cancel": "Cancel and go back"}
    buttons = "".join(_button(way, text) for way, text in ways.items())
    note = "<p><small>Simulated: no money moves.</small></p>"
    other = (
        '<form method="post"><label>Another test card <input name="card" inputmode="numeric"'
        ' autocomplete="off" required></label>'
        '<button name="method" value="card">Pay with this card</button></form>'
    )
    return f'<form method="post">{buttons}</form>{other}{note}'


def _button(way: str, text: str) -> str:
    style = " class=first" if way == "card" else ""
    return f'<button name="method" value="{way}"{style}>{text}</button>'


def _return_url(session: Thing) -> str:
    """Return the address that the buyer returns to.

    It is the session's ``success_url`` after the payment, or if there is no ``cancel_url``.
    Otherwise it is the ``cancel_url``.
    https://docs.stripe.com/payments/checkout/custom-success-page
    """
    paid = session["status"] == "complete"
    url = session["success_url"] if paid or not session["cancel_url"] else session["cancel_url"]
    return str(url).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _not_found(text: str) -> Response:
    return HTMLResponse(_page("Not found", f"<h1>{text}</h1>"), GONE)


def _page(title: str, body: str) -> str:
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style>"
    )
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>'
    )


def _money(amount: int, currency: str) -> str:
    if currency in currencies.ZERO_DECIMAL:
        return f"{currency.upper()} {amount:,}"
    return f"{currency.upper()} {amount // 100:,}.{amount % 100:02d}"

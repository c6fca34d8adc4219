"""The hosted checkout page: plain forms, test cards as buttons, no script. And the receipt."""

import html
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.local.simulator.drawers import Thing
from infra.local.simulator.errors import StripeFault
from infra.local.simulator.world import ConflictError, World

ZERO_DECIMAL: Final = frozenset({"jpy", "krw"})
STYLE: Final = (
    "body{font:17px/1.5 system-ui,sans-serif;background:#f6f7f9;color:#1a1f36;margin:0}main{max-width:26rem;margin:8vh auto;background:#fff;"
    "padding:2rem;border-radius:12px;box-shadow:0 2px 16px #0001}h1{font-size:1.1rem;margin:0}.price{font-size:2.2rem;font-weight:600;margin:.3rem 0 1rem}"
    "button{font:inherit;width:100%;padding:.75rem;margin:.3rem 0;border-radius:8px;border:1px solid #c9cfdb;background:#fff;cursor:pointer;text-align:left}"
    "button:first-of-type{background:#4f46e5;color:#fff;border-color:#4f46e5}[role=alert]{background:#fdecea;padding:.7rem;border-radius:8px}small{color:#5b6478}"
)


def routes(world: World) -> list[Route]:
    """The pages of one simulator."""
    desk = _Desk(world)
    return [
        Route("/c/pay/{id}", desk.show, methods=["GET"]),
        Route("/c/pay/{id}", desk.pay, methods=["POST"]),
        Route("/receipts/{id}", desk.receipt),
    ]


class _Desk:
    def __init__(self, world: World) -> None:
        self._world = world

    async def show(self, request: Request) -> Response:
        try:
            session = self._world.need("checkout.session", request.path_params["id"])
        except StripeFault:
            return HTMLResponse(_page("Not found", "<h1>There is no such checkout.</h1>"), 404)
        return HTMLResponse(self._checkout(session, ""))

    async def pay(self, request: Request) -> Response:
        name = request.path_params["id"]
        method = str((await request.form()).get("method", ""))
        session = self._world.drawers.get("checkout.session", name)
        if session is None or method not in ("card", "declined", "delayed", "cancel"):
            return HTMLResponse(_page("Not found", "<h1>There is no such checkout, or no such way to pay.</h1>"), 404)
        if method == "cancel":
            return RedirectResponse(session["cancel_url"] or session["success_url"], 303)
        try:
            session = self._world.pay(name, method)
        except ConflictError as conflict:
            return HTMLResponse(self._checkout(self._world.need("checkout.session", name), str(conflict)), 409)
        if method == "declined":
            return HTMLResponse(self._checkout(session, "Your card was declined. Try another way to pay."), 402)
        return RedirectResponse(session["success_url"].replace("{CHECKOUT_SESSION_ID}", name), 303)

    async def receipt(self, request: Request) -> Response:
        charge = self._world.drawers.get("charge", request.path_params["id"])
        if charge is None:
            return HTMLResponse(_page("Not found", "<h1>There is no such receipt.</h1>"), 404)
        back = f"<p>Refunded: {_money(charge['amount_refunded'], charge['currency'])}</p>" if charge["amount_refunded"] else ""
        return HTMLResponse(_page("Receipt", f"<h1>Receipt</h1><p class=price>{_money(charge['amount'], charge['currency'])}</p>{back}"))

    def _checkout(self, session: Thing, alert: str) -> str:
        items = self._world.drawers.note(f"items:{session['id']}") or []
        names = ", ".join(html.escape(item["description"]) for item in items)
        head = f"<h1>{names}</h1><p class=price>{_money(session['amount_total'], session['currency'])}</p>"
        told = f'<p role="alert">{html.escape(alert)}</p>' if alert else ""
        if session["status"] != "open":
            word = "has been paid for" if session["status"] == "complete" else "has expired"
            return _page("Checkout", f"{head}{told}<p>This checkout {word}.</p>")
        ways = (
            ("card", "Pay with test card 4242 4242 4242 4242"),
            ("declined", "Try test card 4000 0000 0000 0002 (declined)"),
            ("delayed", "Pay by bank debit (arrives later)"),
            ("cancel", "Cancel and go back"),
        )
        buttons = "".join(f'<button name="method" value="{way}">{text}</button>' for way, text in ways)
        return _page("Checkout", f'{head}{told}<form method="post">{buttons}</form><p><small>Simulated: no money moves.</small></p>')


def _page(title: str, body: str) -> str:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main>{body}</main></body></html>'


def _money(amount: int, currency: str) -> str:
    if currency in ZERO_DECIMAL:
        return f"{currency.upper()} {amount:,}"
    return f"{currency.upper()} {amount // 100:,}.{amount % 100:02d}"

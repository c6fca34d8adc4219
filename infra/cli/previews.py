"""What settling a fact would do, without doing it: for ``--dry-run`` and for questions."""

from billing.books import Books
from billing.facts import DisputeFact, Fact, RefundsFact
from billing.payments.payment import Already, Park, Payment, decide
from billing.payments.settlement import reference, why_nobodys
from billing.storage.keys import user_key


def preview(books: Books, fact: Fact) -> str:
    """In words, by the product's own decision."""
    books.store.deadline.begin()
    payment = _payment(books, fact)
    decision = decide(payment, fact, "")
    if isinstance(decision, Park) and payment is None and (why := why_nobodys(books, fact)):
        return f"nothing: {why}"
    if isinstance(decision, Park):
        return f"it would be parked: {decision.why}"
    if isinstance(decision, Already):
        return (
            "nothing: it was settled before"
            if decision.duplicate
            else "nothing: the books know better already"
        )
    return f"payment {decision.payment.payment_id} becomes {decision.payment.status}, {decision.units:+d} units"


def _payment(books: Books, fact: Fact) -> Payment | None:
    if isinstance(fact, RefundsFact | DisputeFact):
        row = reference(books, fact.payment_intent or fact.charge or "") or {}
        owner = (row.get("user_id", ""), row.get("payment_id", ""))
    else:
        owner = (fact.user_id, fact.payment_id)
    item = books.store.get("payments", (user_key(owner[0]), owner[1])) if all(owner) else None
    return Payment.from_item(item) if item else None

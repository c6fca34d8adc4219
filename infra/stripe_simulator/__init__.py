"""A small, strict simulator of the parts of Stripe that Topup uses.

It has the API, the hosted checkout page, signed webhooks, and a control API for tests.
``app.create_app(settings)`` returns the application, and ``python -m infra.stripe_simulator``
serves it alone.

The control API speaks JSON. It answers 400 with what was expected, 404 for an unknown object, and
409 for what is not possible in the present state. The local stack's contract names these routes:

``POST /_control/sessions/{id}/pay``
    ``{"method": "card"|"declined"|"delayed"}``: what the buyer does.
``POST /_control/sessions/{id}/settle``
    ``{"outcome": "succeeded"|"failed"}``: ends a delayed payment.
``POST /_control/deliveries``
    ``{"drop": 0..1, "duplicate": 0..1, "reorder": bool, "pause": bool}``, each optional.
``POST /_control/faults``
    ``{"route": "POST /v1/checkout/sessions", "times": 1}`` with one of these:
    ``"status"``: 400 to 599, nothing is done (a 5xx is kept under an idempotency key);
    ``"timeout"``: true or seconds, the call is carried out but not answered;
    ``"delay"``: seconds, the call is carried out and answered after them.

These are for tests alone:

``POST /_control/sessions/{id}/expire``
    The session expires now.
``POST /_control/refunds/{id}/fail``
    The refund fails. The charge's ``amount_refunded`` goes down again.
``POST /_control/refunds/{id}/succeed``
    A pending refund succeeds.
``POST /_control/refunds/{id}/process``
    The customer gave the bank details: ``requires_action`` becomes ``pending``.
``POST /_control/refunds/{id}/cancel``
    The seller cancels the refund in the Dashboard.
``POST /_control/charges/{id}/dispute``
    ``{"amount", "kind": "chargeback"|"inquiry", "withdraw": bool}``, each optional.
``POST /_control/disputes/{id}/withdraw``
    ``{"amount"}``: money goes out. An inquiry becomes a chargeback.
``POST /_control/disputes/{id}/reinstate``
    ``{"amount"}``: money comes back, in any status.
``POST /_control/disputes/{id}/close``
    ``{"status": "won"|"lost"|"warning_closed"}``: moves no money.
``POST /_control/events/{id}/resend``
    Delivers the event once more.
``POST /_control/events/{id}/twin``
    Makes a second Event object for the same change, as Stripe sometimes does.
``GET  /_control/deliveries``
    The latest attempts: event, type, url, status, ok, answer.
``POST /_control/clock``
    ``{"advance_seconds"}``: sessions expire, retries become due, idempotency keys age.
``POST /_control/keys``
    ``{"accept": ["sk_test_...", ...]}``: the valid secret keys until the simulator stops. While a
    key is being rolled, the old and the new one are valid.
``POST /_control/idle``
    Returns when no delivery is under way or due.
"""

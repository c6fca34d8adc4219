"""A small, strict simulator of the parts of Stripe that Topup uses.

It has the API, the hosted checkout page, signed webhooks, and a control API for tests.
``app.create_app(settings)`` returns the application, and ``python -m infra.stripe_simulator``
serves it alone.

The control API speaks JSON. It answers 400 with what was expected, 404 for an unknown object, and
409 for what is not possible in the present state. Tests and developers on a local stack use these
routes:

``POST /_control/sessions/{id}/pay``
    ``{"method": "card"|"declined"|"delayed"}``: what the buyer does. ``"card"`` beside the method
    ``card`` names another of Stripe's test cards, by id or number (objects/cards.py).
``POST /_control/sessions/{id}/settle``
    ``{"outcome": "succeeded"|"failed"}``: ends a delayed payment.
``POST /_control/deliveries``
    ``{"drop": 0..1, "duplicate": 0..1, "reorder": bool, "pause": bool}``, each optional.
    ``drop`` and ``duplicate`` are probabilities.
``POST /_control/faults``
    ``{"route": "POST /v1/checkout/sessions", "times": 1}`` with one of these:
    ``"status"``: 400 to 599, nothing is done (a 5xx is kept under an idempotency key);
    ``"timeout"``: true or seconds, the call is carried out but not answered;
    ``"delay"``: seconds, the call is carried out and answered after them;
    ``"after": true``: the call is carried out and its answer is lost: the connection closes at
    once, or with ``"status"`` beside it that status comes. The real answer is kept under the
    idempotency key. A replayed answer can be lost as well.
``POST /_control/payment_methods/{id}/behave``
    ``{"next": [...]}``: what the next off-session charges of that card become, one after another:
    ``succeed``, ``insufficient_funds``, ``generic_decline``, ``authentication_required``,
    ``expired_card``, ``lost_card``, ``processing_then_succeed``, ``processing_then_fail``. A
    processing charge ends after 2 s by the simulator's clock. After the list the card behaves as
    its number says.
``POST /_control/clock``
    ``{"advance_seconds"}`` moves the clock on: sessions expire, retries become due, idempotency
    keys age. On the local stack the Lambda functions' clock moves too: units and holds expire, and
    limits begin a new day or month. The next request sees it. Signatures' ``t`` and tokens'
    ``exp`` stay on real time.

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
    With ``withdraw``, a chargeback takes the money at once.
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
``POST /_control/payment_intents/{id}/settle``
    ``{"outcome": "succeeded"|"failed"}``: ends a processing charge of a card now.
``POST /_control/keys``
    ``{"accept": ["sk_test_...", ...]}``: the valid secret keys until the simulator stops. While a
    key is being rolled, the old and the new one are valid.
``POST /_control/idle``
    Returns when no delivery is under way or due.
"""

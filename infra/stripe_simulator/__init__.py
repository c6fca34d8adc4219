"""A small, strict simulator of what Topup uses of Stripe:

API, hosted page, signed webhooks, and a control API for tests.

``create_app(settings)`` in ``app`` makes the application; ``python -m infra.stripe_simulator``
serves it alone.

The control API, all of it JSON: 400 tells what was expected, 404 no such object, 409 not possible
as things stand.

====================================================  ==========================================================================
``POST /_control/sessions/{id}/pay``                  ``{"method": "card"|"declined"|"delayed"}``: what the buyer does
``POST /_control/sessions/{id}/settle``               ``{"outcome": "succeeded"|"failed"}``: ends a delayed payment
``POST /_control/deliveries``                         ``{"drop": 0..1, "duplicate": 0..1, "reorder": bool, "pause": bool}``, each optional
``POST /_control/faults``                             ``{"route": "POST /v1/checkout/sessions", "times": 1}`` with one of
                                                      ``"status"``: 400 to 599, nothing is done (a 5xx is kept under an idempotency key);
                                                      ``"timeout"``: true or seconds, it is done but never answered;
                                                      ``"delay"``: seconds, it is done and answered after them
====================================================  ==========================================================================

Beyond the stand's contract, for tests:

====================================================  ==========================================================================
``POST /_control/sessions/{id}/expire``               its time is over
``POST /_control/refunds/{id}/fail``                  the refund comes back; the charge's ``amount_refunded`` sinks again
``POST /_control/refunds/{id}/succeed``               a pending refund arrives
``POST /_control/refunds/{id}/process``               the customer has told the bank account: ``requires_action`` becomes ``pending``
``POST /_control/refunds/{id}/cancel``                the seller cancels it in the Dashboard
``POST /_control/charges/{id}/dispute``               ``{"amount", "kind": "chargeback"|"inquiry", "withdraw": bool}``, each optional
``POST /_control/disputes/{id}/withdraw``             ``{"amount"}``: money goes out; an inquiry becomes a chargeback by it
``POST /_control/disputes/{id}/reinstate``            ``{"amount"}``: money comes back, whatever the status
``POST /_control/disputes/{id}/close``                ``{"status": "won"|"lost"|"warning_closed"}``: moves no money by itself
``POST /_control/events/{id}/resend``                 deliver once more
``POST /_control/events/{id}/twin``                   a second Event object for the same change, as Stripe sometimes makes
``GET  /_control/deliveries``                         the latest attempts: event, type, url, status, ok, answer
``POST /_control/clock``                              ``{"advance_seconds"}``: sessions expire, waiting retries fall due, keys age
``POST /_control/keys``                               ``{"accept": ["sk_test_...", ...]}``: the secret keys that count until it stops,
                                                      the old one and the new one while a key is being rolled
``POST /_control/idle``                               returns when no delivery is under way or due now
====================================================  ==========================================================================
"""

"""A small, strict simulator of what Topup uses of Stripe: API, hosted page, signed webhooks, and a control API for tests.

Control routes beyond the stand's contract, for tests: ``POST /_control/sessions/{id}/expire``, ``/_control/refunds/{id}/fail``,
``/_control/charges/{id}/dispute`` ``{"kind": "chargeback"|"inquiry", "amount", "withdraw"}``,
``/_control/disputes/{id}/withdraw|reinstate|close`` ``{"status"}``, ``/_control/events/{id}/resend|twin``,
``/_control/clock`` ``{"advance_seconds"}``, ``GET /_control/deliveries`` and ``POST /_control/idle``.
"""

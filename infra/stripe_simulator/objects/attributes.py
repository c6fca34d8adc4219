"""Lists the names of attributes and parameters of Stripe's objects.

They are those of the API version for which the installed stripe package was made.
"""

from typing import Final


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SESSION_NULLS: Final = _names(
    """
    after_expiration billing_address_collection client_secret collected_information consent
    consent_collection currency_conversion customer customer_account customer_details invoice
    managed_payments origin_context payment_intent payment_link
    payment_method_configuration_details permissions recovered_from saved_payment_method_options
    setup_intent shipping_address_collection shipping_cost submit_type subscription
    integration_identifier wallet_options allow_promotion_codes allowed_payment_method_types
    excluded_payment_method_types cancel_url client_reference_id customer_email locale
    success_url
    """
)
"""Attributes of a Checkout Session that are null until something sets them."""
SESSION_ECHOED: Final = _names(
    """
    allow_promotion_codes allowed_payment_method_types billing_address_collection cancel_url
    client_reference_id consent_collection custom_fields customer customer_creation customer_email
    excluded_payment_method_types expires_at integration_identifier locale metadata
    origin_context payment_method_collection payment_method_options permissions
    shipping_address_collection submit_type success_url wallet_options
    """
)
"""Parameters that a Checkout Session shows as they were given."""
SESSION_MERGED: Final = _names(
    """
    adaptive_pricing automatic_tax custom_text phone_number_collection invoice_creation
    """
)
"""Parameters whose members replace those of the Checkout Session's defaults."""
INTENT_NULLS: Final = _names(
    """
    application application_fee_amount automatic_payment_methods canceled_at cancellation_reason
    customer customer_account description excluded_payment_method_types last_payment_error
    latest_charge managed_payments next_action on_behalf_of payment_method
    payment_method_configuration_details processing receipt_email review setup_future_usage
    shipping source statement_descriptor statement_descriptor_suffix transfer_data
    transfer_group
    """
)
"""Attributes of a payment intent that are null until something sets them."""
INTENT_ECHOED: Final = _names(
    """
    description metadata receipt_email setup_future_usage statement_descriptor
    statement_descriptor_suffix transfer_group
    """
)
"""Parameters, also in ``payment_intent_data``, that a payment intent shows as they were given."""
CHARGE_NULLS: Final = _names(
    """
    application application_fee application_fee_amount balance_transaction customer description
    failure_balance_transaction failure_code failure_message on_behalf_of receipt_email
    receipt_number review shipping source source_transfer statement_descriptor
    statement_descriptor_suffix transfer_data transfer_group
    """
)
"""Attributes of a charge that are null until something sets them."""
CARD_NULLS: Final = _names(
    """
    amount_authorized authorization_code extended_authorization incremental_authorization
    installments mandate multicapture network_transaction_id overcapture regulated_status
    three_d_secure transaction_link_id wallet
    """
)
"""Attributes of a charge's card that are always null here."""
EVIDENCE: Final = _names(
    """
    access_activity_log billing_address cancellation_policy cancellation_policy_disclosure
    cancellation_rebuttal customer_communication customer_email_address customer_name
    customer_purchase_ip customer_signature duplicate_charge_documentation
    duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy
    refund_policy_disclosure refund_refusal_explanation service_date service_documentation
    shipping_address shipping_carrier shipping_date shipping_documentation
    shipping_tracking_number uncategorized_file uncategorized_text
    """
)
"""The evidence that a dispute can have."""
REFUND_NULLS: Final = _names(
    """
    balance_transaction customer customer_account payment_method reason receipt_number
    source_transfer_reversal transfer_reversal
    """
)
"""Attributes of a refund that are null until something sets them."""

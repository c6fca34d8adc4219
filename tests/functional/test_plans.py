from functional.lab import Lab


def test_everyone_sees_what_is_for_sale(lab: Lab) -> None:
    """The catalogue starts with three plans, prices whole and as decimals."""
    said = lab.call("GET", "/plans")
    assert said.status == 200
    prices = {
        plan["id"]: (plan["amount_minor"], plan["amount"], plan["currency"], plan["quota"])
        for plan in said.json["plans"]
    }
    assert prices == {
        "starter": (999, "9.99", "usd", 100),
        "pro": (4999, "49.99", "usd", 1000),
        "enterprise": (29999, "299.99", "usd", 10000),
    }

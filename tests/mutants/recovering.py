"""Bugs in what brings the books right afterwards: recovery and reconciliation."""

from typing import Final

from .bug import bug

RECOVERING: Final = (
    bug(
        "a parked fact that cannot be tried now is let go",
        "reconciliation/test_compare.py::test_a_parked_fact_outlives_trouble_at_stripe",
        (
            "reconciliation/retry_parked.py",
            '        return ""  # not failed, not settled;',
            '        parking.resolve(books, record)\n        return ""  #',
        ),
    ),
    bug(
        "an unknown outcome lets the parked fact go",
        "reconciliation/test_compare.py::test_a_retry_that_ends_unknown_keeps_the_record",
        (
            "reconciliation/retry_parked.py",
            "    except (RetryableError, AwsRefused",
            "    except RetryableError:\n        parking.resolve(books, record)\n        return ''\n    except (AwsRefused",
        ),
    ),
    bug(
        "recovery does not ask Stripe what a parked fact belongs to",
        "reconciliation/test_compare.py::test_recovery_finds_the_session_that_a_refund_belongs_to",
        (
            "reconciliation/retry_parked.py",
            "outcome = settlement.apply(books, found)",
            'outcome = settlement.Outcome("ignored")',
        ),
    ),
    bug(
        "recovery takes what waits for a person for nobody's",
        "reconciliation/test_compare.py::test_what_waits_for_a_person_is_not_tried",
        (
            "payments/parking.py",
            "0 if park.kind in FOR_A_PERSON else epoch(now)",
            "epoch(now) if park.kind in FOR_A_PERSON else epoch(now)",
        ),
        ("payments/settlement.py", 'if outcome.status != "parked":', "if outcome.units == 0:"),
    ),
    bug(
        "a refund of a purchase that a person has dropped waits for ever",
        "payments/test_parking.py::test_a_refund_of_a_dropped_purchase_goes_with_it",
        (
            "reconciliation/retry_parked.py",
            'outcome.status == "parked" and parking.is_dropped(books, found):',
            'outcome.status == "parked" and not intent and parking.is_dropped(books, found):',
        ),
    ),
    bug(
        "a refund is dropped because its purchase waits for a person",
        "payments/test_parking.py::test_a_refund_waits_while_nobody_has_decided",
        (
            "reconciliation/retry_parked.py",
            'outcome.status == "parked" and parking.is_dropped(books, found):',
            'outcome.status == "parked":',
        ),
    ),
    bug(
        "what went with a dropped purchase stays dropped when that is credited after all",
        "payments/test_parking.py::test_what_went_with_a_purchase_counts_when_that_is_credited_after_all",
        (
            "payments/settlement.py",
            "        parking.bring_back(books, fact.payment_intent, fresh.aside)\n",
            "        fresh = replace(fresh, aside=frozenset())\n",
        ),
        (
            "payments/settlement.py",
            'must = (nobody_waits, absent("aside"))',
            "must = (nobody_waits,)",
        ),
    ),
    bug(
        "a purchase is credited though its refund was dropped once more in that moment",
        "payments/test_parking.py::test_a_refund_that_goes_once_more_before_the_credit_comes_back_once_more",
        (
            "payments/settlement.py",
            'must = (nobody_waits, absent("aside"))',
            "must = (nobody_waits,)",
        ),
    ),
    bug(
        "a refund is dropped though its purchase was credited a moment ago",
        "payments/test_parking.py::test_a_purchase_that_is_credited_at_that_moment_keeps_its_refund",
        (
            "payments/parking.py",
            'add={"waiting": gone, "aside": gone}, must=(absent("payment_id"),))',
            'add={"waiting": gone, "aside": gone})',
        ),
    ),
    bug(
        "a refund is dropped with its purchase and leaves no word there",
        "payments/test_parking.py::test_what_went_with_a_purchase_counts_when_that_is_credited_after_all",
        ("payments/parking.py", 'add={"waiting": gone, "aside": gone}', 'add={"waiting": gone}'),
    ),
    bug(
        "Stripe is asked for a charge without an id",
        "payments/test_parking.py::test_a_fact_that_nothing_can_be_found_by_ends_and_stripe_is_not_asked",
        (
            "reconciliation/retry_parked.py",
            "if fact.payment_intent or not fact.charge:",
            "if fact.payment_intent:",
        ),
        (
            "reconciliation/retry_parked.py",
            "gateway.charge(fact.charge)",
            'gateway.charge(fact.charge or "")',
        ),
    ),
    bug(
        "a refund of ours is let go while Stripe's list only lags",
        "test_two_deployments.py::test_a_refund_of_ours_is_not_let_go_while_stripes_list_only_lags",
        (
            "reconciliation/retry_parked.py",
            '        return ""  # still open, not listed yet',
            '        parking.resolve(books, record)\n        return ""  # still open, not listed yet',
        ),
    ),
    bug(
        "one charge that Stripe does not know ends the run",
        "test_two_deployments.py::test_one_charge_that_stripe_does_not_know_does_not_end_a_recovery_run",
        (
            "reconciliation/retry_parked.py",
            "StripeServerError, StripeNotFoundError, BillingError) as",
            "StripeServerError, BillingError) as",
        ),
    ),
    bug(
        "one fault of the store ends the run",
        "test_events_that_move_nothing.py::test_one_fault_of_the_store_does_not_end_a_recovery_run",
        (
            "reconciliation/retry_parked.py",
            "(RetryableError, AwsRefusedError, ",
            "(RetryableError, ",
        ),
    ),
    bug(
        "a record that was resolved meanwhile comes back as a ghost when its reason changes",
        "test_events_that_move_nothing.py::test_a_record_that_was_resolved_in_the_moment_of_a_change_leaves_no_ghost",
        ("payments/parking.py", ', must=(equals("kind", kept["kind"]),)))', "))"),
    ),
    bug(
        "a record that was resolved meanwhile comes back as a ghost when it is put off",
        "test_events_that_move_nothing.py::test_a_record_that_was_resolved_in_the_moment_of_a_change_leaves_no_ghost",
        ("payments/parking.py", '        must=(equals("tries", parked.tries),),\n', ""),
    ),
    bug(
        "a refund of a payment that was put back to unpaid is nobody's",
        "test_events_that_move_nothing.py::test_a_refund_of_a_payment_that_a_restore_put_back_to_unpaid_is_taken_in_the_end",
        (
            "payments/settlement.py",
            'if view.linked and decision.kind == "ahead":',
            'if view.payment is None and decision.kind == "ahead":',
        ),
    ),
    bug(
        "a lost way from a payment intent is told and not written",
        "test_events_that_move_nothing.py::test_a_lost_way_from_a_payment_intent_is_written_again",
        (
            "reconciliation/repair.py",
            "            if job.repair:\n                settlement.refer(job.books, payment)\n",
            "",
        ),
    ),
    bug(
        "a paid session from before ids is rebuilt",
        "test_two_deployments.py::test_a_paid_session_from_before_ids_without_a_record_is_never_rebuilt",
        (
            "reconciliation/compare.py",
            "if payment is None and settlement.why_nobodys(by.books, fact):",
            "if payment is None and settlement.moves_nothing(fact):",
        ),
    ),
    bug(
        "reconciliation passes over young sessions",
        "reconciliation/test_compare.py::test_a_paid_session_whose_webhooks_were_lost_is_credited_however_young",
        (
            "reconciliation/run.py",
            "    for row in rows:\n",
            '    for row in [one for one in rows if from_epoch(int(one.get("created", 0)) + 600) < stamp(job.books.clock())]:\n',
        ),
    ),
    bug(
        "reconciliation looks at the first page alone",
        "reconciliation/test_compare.py::test_a_run_that_was_stopped_is_gone_on_with_until_all_is_settled",
        ("reconciliation/run.py", 'if rest or page["has_more"]:', "if rest:"),
    ),
    bug(
        "a stopped reconciliation begins again from the start",
        "reconciliation/test_compare.py::test_a_run_that_was_stopped_is_gone_on_with_until_all_is_settled",
        (
            "reconciliation/run.py",
            "        _keep_cursor(job, cursor)\n",
            "        _keep_cursor(job, cursor and Cursor(cursor.since))\n",
        ),
    ),
    bug(
        "a reconciliation that is killed has kept no place to go on from",
        "reconciliation/test_compare.py::test_a_run_that_is_killed_is_gone_on_with_behind_its_last_page",
        (
            "reconciliation/run.py",
            "        _keep_cursor(job, cursor)\n",
            "        _keep_cursor(job, cursor) if cursor is None else None\n",
        ),
    ),
    bug(
        "rows for which there was no time are passed over",
        "reconciliation/test_compare.py::test_a_run_that_ends_within_a_page_is_gone_on_with_at_the_next_row",
        (
            "reconciliation/run.py",
            'return replace(cursor, after=done["id"]) if done else cursor',
            'return replace(cursor, after=page["data"][-1]["id"])',
        ),
    ),
    bug(
        "each event about one session is parked as another one",
        "payments/test_settlement.py::test_several_events_about_one_session_are_one_record_and_one_decision",
        (
            "payments/parking.py",
            'return f"{fact.session_id}:{fact.kind}" if isinstance(fact, SessionFact) else fact.fact_id',
            "return fact.fact_id",
        ),
    ),
    bug(
        "a second session takes a payment's place before the first has expired",
        "payments/test_settlement.py::test_a_copy_that_is_told_before_the_expiry_waits_for_it",
        (
            "payments/payment.py",
            "return None if payment.phase is Phase.EXPIRED else Park(",
            "return None if told else Park(",
        ),
    ),
    bug(
        "what a person has dropped is a difference for ever",
        "reconciliation/test_compare.py::test_what_a_person_has_dropped_is_no_difference_any_more",
        (
            "reconciliation/compare.py",
            "isinstance(decision, Park) and parking.is_dropped(by.books, fact)",
            "isinstance(decision, Park) and not decision",
        ),
    ),
    bug(
        "a payment intent that leads nowhere goes on leading nowhere",
        "reconciliation/test_compare.py::test_a_payment_intent_that_leads_nowhere_leads_to_its_payment_again",
        (
            "reconciliation/compare.py",
            "    if by.repair:\n        settlement.refer(by.books, payment)\n",
            "",
        ),
    ),
    bug(
        "a dispute is looked at for as long as a session only",
        "reconciliation/test_compare.py::test_what_became_of_an_old_refund_or_dispute_is_looked_at_for_longer",
        ("reconciliation/run.py", '"disputes": 180 * DAY_SECONDS', '"disputes": 0'),
    ),
    bug(
        "one known refund of a payment stands for those that are not known",
        "reconciliation/test_compare.py::test_a_second_refund_of_a_payment_is_found_beside_the_known_one",
        (
            "payments/reversals.py",
            "refund_id in self.standing and refund_id not in self.failed",
            "bool(self.standing)",
        ),
    ),
    bug(
        "reconciliation tells what is missing and credits nothing",
        "reconciliation/test_compare.py::test_a_paid_session_whose_webhooks_were_lost_is_credited_however_young",
        (
            "reconciliation/compare.py",
            "settlement.apply(by.books, fact).status in",
            'settlement.Outcome("settled").status in',
        ),
    ),
    bug(
        "a dry run repairs",
        "reconciliation/test_compare.py::test_a_dry_run_touches_nothing",
        (
            "reconciliation/compare.py",
            "repaired = by.repair and settlement",
            "repaired = settlement",
        ),
    ),
    bug(
        "refunds are not reconciled",
        "reconciliation/test_compare.py::test_a_refund_whose_webhooks_were_lost_is_taken_back",
        (
            "reconciliation/run.py",
            'PHASES: Final = (*OLDER_SECONDS, "ours")',
            'PHASES: Final = ("sessions", "disputes", "ours")',
        ),
    ),
    bug(
        "failed refunds that Stripe lists are counted",
        "reconciliation/test_compare.py::test_a_refund_whose_webhooks_were_lost_is_taken_back",
        ("stripe_api/objects.py", "failed=failed,", "failed={},"),
        ("stripe_api/objects.py", "standing=standing,", "standing=standing | failed,"),
    ),
    bug(
        "disputes are not reconciled",
        "reconciliation/test_compare.py::test_a_dispute_whose_webhooks_were_lost_is_taken_back",
        (
            "reconciliation/run.py",
            'PHASES: Final = (*OLDER_SECONDS, "ours")',
            'PHASES: Final = ("sessions", "refunds", "ours")',
        ),
    ),
    bug(
        "a credit that Stripe does not know is not told",
        "reconciliation/test_compare.py::test_what_is_credited_here_and_unknown_at_stripe_is_told",
        (
            "reconciliation/run.py",
            'PHASES: Final = (*OLDER_SECONDS, "ours")',
            'PHASES: Final = ("sessions", "refunds", "disputes")',
        ),
    ),
    bug(
        "one row that fails ends the reconciliation of all",
        "test_reconcile.py::test_a_row_that_fails_for_ever_starves_nobody",
        (
            "reconciliation/run.py",
            "            look(row)\n        failed_in",
            "            pass\n        look(row)\n        failed_in",
        ),
    ),
    bug(
        "a list that Stripe refuses ends the reconciliation of all",
        "test_reconcile.py::test_a_list_that_stripe_refuses_keeps_no_other_from_being_read",
        (
            "reconciliation/run.py",
            """    with _telling(job, report, f"the list {cursor.phase!r}"):\n""",
            "    if cursor.phase:\n",
        ),
    ),
    bug(
        "a list that Stripe refuses is asked for at the same place for ever",
        "test_reconcile.py::test_a_list_of_which_one_page_fails_is_begun_anew_by_the_next_run",
        (
            "reconciliation/run.py",
            "    report.unlisted.append(cursor.phase)\n    return _at_the_next_list(cursor)",
            "    report.given_up = True\n    return cursor",
        ),
    ),
    bug(
        "a reconciliation without one of its lists counts as finished",
        "test_reconcile.py::test_a_list_that_stripe_refuses_keeps_no_other_from_being_read",
        ("reconciliation/run.py", "report, told) and not report.unlisted", "report, told)"),
    ),
    bug(
        "a reconciliation in which something failed ends as if nothing had",
        "test_reconcile.py::test_a_row_that_fails_keeps_no_other_from_being_credited",
        (
            "../reconcile.py",
            "    if report.failed:\n        raise IncompleteReconciliationError(report)\n",
            "",
        ),
    ),
    bug(
        "a reconciliation that compared nothing counts for one that did",
        "test_reconcile.py::test_a_run_that_could_compare_nothing_counts_for_none",
        (
            "../reconcile.py",
            "if report.compared or not report.failed:",
            "if report.counts is not None:",
        ),
    ),
    bug(
        "a reconciliation waits for one row after the other while nothing answers",
        "test_reconcile.py::test_many_failures_in_a_row_end_the_run_and_the_next_goes_on_behind_them",
        (
            "reconciliation/run.py",
            "report.given_up = failed_in_a_row == FAILED_IN_A_ROW_MAX",
            "report.given_up = failed_in_a_row < 0",
        ),
    ),
    bug(
        "rows that failed are looked at by the next run before any others",
        "test_reconcile.py::test_many_failures_in_a_row_end_the_run_and_the_next_goes_on_behind_them",
        (
            "reconciliation/run.py",
            "        done = row\n",
            "        done = done if failed_in_a_row else row\n",
        ),
    ),
    bug(
        "reconciliation believes its index, which lags, and not the record",
        "reconciliation/test_compare.py::test_the_index_of_what_was_not_seen_is_believed_in_nothing",
        (
            "reconciliation/run.py",
            '        if "unseen" in item:\n',
            '        if "unseen" in row:\n',
        ),
    ),
    bug(
        "of our own records the first page alone is asked for",
        "reconciliation/test_compare.py::test_all_our_own_records_are_asked_for_page_after_page",
        (
            "reconciliation/run.py",
            "return replace(cursor, after=page.after) if page.after else None",
            "return None",
        ),
    ),
    bug(
        "holds of the first page alone are swept",
        "test_recover.py::test_a_sweep_comes_to_all_accounts_page_after_page",
        (
            "reconciliation/retry_parked.py",
            "        if (after := page.after) is None:\n",
            "        if page is not None:\n",
        ),
    ),
    bug(
        "a lost record is rebuilt at any price",
        "reconciliation/test_compare.py::test_a_payments_record_that_was_lost_is_rebuilt_and_credited_once",
        (
            "reconciliation/compare.py",
            "if (plan.quota, plan.amount_minor, plan.currency) != (fact.quota, fact.amount_subtotal, fact.currency):",
            "plan = replace(plan, quota=fact.quota, amount_minor=fact.amount_subtotal)\n    if plan.currency != fact.currency:",
        ),
    ),
    bug(
        "a failure of one parked fact stops the run",
        "reconciliation/test_compare.py::test_a_parked_fact_outlives_trouble_at_stripe",
        (
            "reconciliation/retry_parked.py",
            "except (RetryableError, AwsRefusedError, StripeServerError, StripeNotFoundError, BillingError) as error:",
            "except RetryableError as error:",
        ),
    ),
    bug(
        "a run of recovery goes on until it is killed",
        "test_recover.py::test_a_run_ends_in_time_and_says_how_many_facts_are_left",
        (
            "reconciliation/retry_parked.py",
            "        if not go_on():\n            break\n        tried",
            "        tried",
        ),
    ),
    bug(
        "a fact is tried before it is put off",
        "test_recover.py::test_a_fact_that_the_function_dies_of_is_behind_the_others_next_time",
        (
            "reconciliation/retry_parked.py",
            "if not parking.postpone(books, record):",
            "if parking.find(books, record.fact.fact_id) is None:",
        ),
    ),
    bug(
        "parked facts are tried by their names, whoever has been due for longest",
        "test_recover.py::test_those_due_for_longest_are_tried_first",
        (
            "reconciliation/retry_parked.py",
            "key=lambda record: record.next_try)",
            "key=lambda record: record.fact.fact_id)",
        ),
    ),
    bug(
        "a fact that a person has dropped is tried all the same",
        "test_recover.py::test_a_fact_that_a_person_has_just_dropped_is_not_tried",
        (
            "reconciliation/retry_parked.py",
            "if not parking.postpone(books, record):",
            "if parking.postpone(books, record) is None:",
        ),
    ),
    bug(
        "holds are swept until no time is left for the facts",
        "test_recover.py::test_a_slow_sweep_leaves_time_for_the_facts",
        (
            "reconciliation/retry_parked.py",
            "            if not go_on():\n                return seen\n",
            "",
        ),
    ),
    bug(
        "one account that gives no answer ends the sweep",
        "test_recover.py::test_an_account_that_gives_no_answer_keeps_no_other_from_being_swept",
        (
            "reconciliation/retry_parked.py",
            "with suppress(RetryableError):",
            "with suppress(ZeroDivisionError):",
        ),
    ),
    bug(
        "a sweep that fails leaves the facts lying",
        "test_recover.py::test_a_sweep_that_fails_keeps_no_fact_from_being_settled",
        (
            "../recover.py",
            "    finally:  # whatever",
            "    except ZeroDivisionError:\n        pass\n    else:  # whatever",
        ),
    ),
)

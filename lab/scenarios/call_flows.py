"""All call flows in which people do something in a talk, by name. Each is played on handsets.

A flow returns the calls of each telephone; a call that a person makes to ask a colleague is named
after both ("152 asks 421"). Between two actions people talk for `TALK_S`.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from lab.asterisk.server import LabAsterisk
from lab.scenarios import complaints, elsewhere, hostile_callers, originated, pickups, talks, transfers
from lab.scenarios.steps import PhoneCalls

CallFlow = Callable[[LabAsterisk], Awaitable[PhoneCalls]]

CALL_FLOWS: Final[dict[str, CallFlow]] = {
    flow.__name__: flow
    for flow in (
        talks.hold_and_resume,
        talks.hold_and_resume_anew,
        talks.customer_holds_and_resumes_anew,
        talks.keys_in_talk,
        talks.caller_silent,
        talks.badly_heard,
        talks.behind_bad_network,
        talks.wideband,
        talks.wideband_from_outside,
        transfers.blind_by_phone,
        transfers.blind_by_phone_to_130,
        transfers.blind_by_keys,
        transfers.blind_by_manager,
        transfers.blind_out,
        transfers.blind_to_busy,
        transfers.attended_by_keys,
        transfers.attended_by_keys_to_130,
        transfers.attended_by_keys_unanswered,
        transfers.attended_by_keys_taken_back,
        transfers.attended_by_phone,
        transfers.attended_by_phone_to_130,
        transfers.attended_by_phone_out,
        transfers.attended_by_phone_taken_back,
        pickups.parked_by_keys,
        pickups.parked_by_phone,
        pickups.picked_up,
        pickups.picked_up_at_once,
        pickups.picked_up_by_130,
        pickups.picked_up_by_777,
        pickups.picked_up_from_130,
        pickups.picked_up_from_group,
        pickups.picked_up_through_local,
        talks.conference_of_colleagues,
        talks.conference_with_customer,
        talks.followed_out,
        originated.click_by_local,
        originated.click_by_kept_local,
        originated.click_by_telephone,
        originated.click_to_colleague,
        originated.click_to_unrecorded,
        originated.click_unanswered,
        originated.click_unanswered_kept,
        originated.click_busy,
        originated.click_refused_by_caller,
        originated.click_returns_missed,
        originated.callback_by_trunk,
        originated.callback_by_local,
        originated.callback_by_kept_local,
        originated.callback_into_group,
        originated.callback_busy,
        originated.callback_busy_by_account,
        originated.callback_busy_by_local,
        originated.callback_not_taken,
        complaints.asked_queue_by_keys,
        complaints.asked_queue_by_phone,
        complaints.redirected_into_conference,
        complaints.met_by_dial,
        complaints.accepted,
        complaints.not_accepted,
        complaints.whispered,
        complaints.gone_on_to_421,
        complaints.through_menu_and_back,
        complaints.joined_by_program,
        complaints.directly,
        complaints.second_telephone,
        elsewhere.agent_takes_two,
        elsewhere.joined_by_manager,
        elsewhere.page_of_two,
        elsewhere.page_of_all,
        elsewhere.customer_in_room,
        elsewhere.customer_put_into_room,
        elsewhere.parked_by_manager,
        hostile_callers.hostile_caller,
        hostile_callers.forging_caller,
        hostile_callers.ending_caller,
        hostile_callers.list_cutting_caller,
        hostile_callers.answering_caller,
        hostile_callers.withheld,
    )
}

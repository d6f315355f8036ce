"""Train Ticket under injected faults: the 47 errored traces are a handful of problems."""

from collections import Counter

from streams.alerts.fingerprint import Fields
from streams.alerts.occurrence import occurrence
from tests.kit.datasets import needs_shared
from tests.kit.traces import recorded_traces


@needs_shared
def test_the_errored_traces_of_train_ticket_are_four_problems() -> None:
    found = [one for whole in recorded_traces("trainticket") if (one := occurrence(whole, Fields(), str)) is not None]
    assert len(found) == 47
    problems = Counter((one["fingerprint"], one["service"], one["operation"]) for one in found)
    assert sorted((count, *names) for (_, *names), count in problems.items()) == [
        (1, "ts-execute-service", "ExecuteControlller.executeTicket"),
        (1, "ts-preserve-other-service", "/api/v1/preserveotherservice/preserveOther"),
        (7, "ts-food-service", "FoodController.getAllFood"),
        (38, "ts-basic-service", "BasicController.queryForTravels"),
    ]
    said = {one["service"]: one["message"] or "" for one in found}
    assert "Get Route By Ids Failed" in said["ts-basic-service"]
    assert "foodStoresListResult is null" in said["ts-food-service"]
    assert "No instances available for ts-basic-service" in said["ts-preserve-other-service"]
    assert "Order Status Wrong" in said["ts-execute-service"]
    assert all(one["root"] == "ts-gateway-service /*" for one in found)
    assert all(any(shown["level"] == "ERROR" for shown in one["lines"]) for one in found)

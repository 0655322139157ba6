"""What schemathesis cannot tell by the status of a batch."""

import schemathesis
from schemathesis.core.parameters import ParameterLocation


@schemathesis.check
def a_bad_item_of_a_batch_is_refused(ctx, response, case):
    """A batch is answered with 200, and each item of it with a status of its own."""
    operation = case.operation.definition.raw.get("operationId")
    if operation != "createSubmissions" or response.status_code != 200 or case.meta is None:
        return
    body = case.meta.components.get(ParameterLocation.BODY)
    if body is None or not body.mode.is_negative:
        return
    items = response.json()["submissions"]
    statuses = [item["status"] for item in items]
    assert any(status >= 400 for status in statuses), f"every item was accepted: {statuses}"

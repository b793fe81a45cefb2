"""The local receiver: prints a line an alert, records what came, and refuses what is no notification."""

from __future__ import annotations

import json
import time
from pathlib import Path

import requests

from tests.alertmanager.server import Inbox

NOTIFICATION = {
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "AirflowDagLate", "airflow": "production", "dag_id": "sales"},
            "annotations": {"description": "It is late."},
        }
    ],
}


def post(inbox: Inbox, path: str, body: bytes) -> int:
    session = requests.Session()
    session.trust_env = False
    end = time.monotonic() + 20
    with session:
        while True:
            try:
                return session.post(f"http://{inbox.address}/{path}", data=body, timeout=5).status_code
            except requests.ConnectionError:
                assert time.monotonic() < end, "the inbox does not listen"
                time.sleep(0.1)


def test_a_notification_is_printed_and_recorded(inbox: Inbox, tmp_path: Path) -> None:
    assert post(inbox, "pager", json.dumps(NOTIFICATION).encode()) == 200
    printed = (tmp_path / "inbox.log").read_text().splitlines()[-1]
    assert printed == "pager: firing AirflowDagLate [airflow=production dag_id=sales] It is late."
    (notice,) = inbox.notices()
    assert (notice.receiver, notice.notification) == ("pager", NOTIFICATION)
    assert abs(notice.received - time.time()) < 20


def test_what_is_no_json_is_refused(inbox: Inbox) -> None:
    assert post(inbox, "pager", b"hello") == 400
    assert post(inbox, "pager", b"[1]") == 400
    assert post(inbox, "pager", b"") == 413
    assert inbox.notices() == []

"""A DAG file that was just deployed, and needs a package that is not there: on order.

Airflow passes over files without the words airflow and DAG.
"""

from __future__ import annotations

from fault_compat import ORDERS

if (ORDERS / "new_file").exists():
    import no_such_package  # noqa: F401

"""An Airflow DAG file that takes longer to load than a file may."""

import time

time.sleep(60)

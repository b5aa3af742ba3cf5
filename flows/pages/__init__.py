"""The pages that Prefect's UI shows of the study. When they are made is decided by `flows.ui_publisher`."""

"""The study's pages in Prefect's UI. `flows.ui_publisher` decides when they are made."""

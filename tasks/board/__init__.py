"""The pages of the study: each subject's page, the study's board, the drawings. They work without Prefect.

`story` is one subject as its page shows it. `cards` is the part of it that the board needs, kept in the
database so that a change costs one card (`keeping`, `reading`). `subject_page` (with `sent`) and `study_page`
(with `needs` and `figures`) are the texts; `drawings` and `lanes` are drawn on `paper`. `flows.pages` shows
them in Prefect.
"""

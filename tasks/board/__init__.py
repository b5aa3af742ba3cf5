"""What people see of the study: each subject's page, the study's board, the drawings. Works without Prefect.

`cards` is what the board needs of a subject, kept in the study's database so that a change costs one card;
`reading` takes it from the store. `subject_page` (with `sent`) and `study_page` (with `needs` and `figures`)
are the texts; `drawings` and `lanes` are drawn on `paper`.
"""

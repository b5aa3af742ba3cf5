"""What people see of the study: each subject's page, the study's board, the drawings. Works without Prefect.

`cards` is what the board needs of a subject, kept in the study's database so that a change costs one card;
`reading` takes it from the store; `subject_page` and `study_page` are the texts, `drawings` the figures.
"""

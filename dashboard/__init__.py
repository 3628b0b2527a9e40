"""The ops web page: what runs, what it yields and costs, what needs eyes; and the acts on it.

`app.create_app` puts it together: pages (`pages/`), a JSON API (`api/`), who may do what
(`access/`). Pages read through `db.queries` and act through the functions of `tasks`, as the
command line does.
"""

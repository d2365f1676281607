"""Write the ranking as a table in Markdown."""

from helpers import heading, read_rows

from buildtool import job

lines = [
    f"# {job.params.title}",
    "",
    "| region | count | energy in J | largest |",
    "| --- | ---: | ---: | --- |",
]
for row in read_rows(job.inputs.ranking):
    cells = [heading(row["region"]), row["count"], row["energy"], row["largest"]]
    lines.append(f"| {' | '.join(cells)} |")
job.output.write_text("\n".join(lines) + "\n")

"""The pages of a report: HTML, tables as LaTeX and Markdown, and the numbers as CSV and JSON."""

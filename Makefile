# Thin on purpose: each target is one command, and each command can be typed as well.
.PHONY: demo test lint faults suite bench docs

demo:  ## a whole inspection line for about a minute, and out/demo/report.html
	tools/with-venv all jidoka demo --out out/demo

test:  ## every test
	tools/with-venv dev tools/test

lint:  ## ruff, mypy, import contracts
	tools/with-venv dev tools/lint

faults:  ## a line on which everything goes wrong that can, scored
	tools/with-venv all jidoka sim run sims/scenarios/faults.toml --out out/faults

suite:  ## the plant's bad days in virtual time, and out/suite/suite.html
	tools/with-venv all jidoka sim suite --out out/suite

bench:  ## speed and memory as ratios to a bare loop; run it on a machine that does nothing else
	tools/with-venv dev python bench/run.py

docs:  ## write again what is generated from the code
	tools/with-venv dev python docs/generate.py

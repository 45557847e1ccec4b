module millrace.dev/wire

go 1.24

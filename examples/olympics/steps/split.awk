# Writes every row to the table of its continent, each with the heading.
NR == 1 { heading = $0; next }
{
    file = "build/games/" $5 ".csv"
    if (!(file in seen)) {
        seen[file] = 1
        print heading > file
    }
    print > file
}

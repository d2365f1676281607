# One line: continent, games, summer games, winter games, cities in order of their first games.
NR == 1 { next }
{
    games[$2]++
    if (!($3 in seen)) {
        seen[$3] = 1
        cities = cities (cities == "" ? "" : ", ") $3
    }
}
END {
    printf "%s\t%d\t%d\t%d\t%s\n", continent, NR - 1, games["summer"], games["winter"], cities
}

#include <stdio.h>
#include <stdlib.h>

#include "shapes.h"
#include "version.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: area WIDTH HEIGHT\n");
        return 2;
    }
    long width = atol(argv[1]), height = atol(argv[2]);
    printf("area %s\nrectangle %ld x %ld: %ld\n", VERSION, width, height, rectangle(width, height));
    return 0;
}

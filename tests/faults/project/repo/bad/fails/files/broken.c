int main(void)
{
	return forgotten_variable;
}
